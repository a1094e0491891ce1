export * from './webhook-endpoint.entity.js';
