export * from './egress.js';
export * from './egress-faults.js';
export * from './egress.module.js';
export * from './name-resolver.js';
export * from './pinned-http.js';
export * from './pinned-socket.js';
export * from './resolving-guard.js';
export * from './webhook-signature.js';
