export * from './principal.js';
export * from './keys.js';
export * from './key-directory.js';
export * from './route-rules.js';
export * from './rate-limits.js';
export * from './secret-box.js';
export * from './unit-of-work.js';
export * from './security.module.js';
