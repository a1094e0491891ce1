export * from './egress.js';
export * from './webhook-signature.js';
