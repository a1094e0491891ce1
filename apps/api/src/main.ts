import 'reflect-metadata';
import { runProcess } from '#libs/process';

runProcess(async () => (await import('./api.js')).prepareApi);
