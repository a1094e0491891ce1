// Puts the files the API serves, and tsc does not build, beside the compiled code.
import { copyFileSync, mkdirSync } from 'node:fs';

mkdirSync('dist/assets', { recursive: true });
copyFileSync('node_modules/redoc/bundles/redoc.standalone.js', 'dist/assets/redoc.standalone.js');
