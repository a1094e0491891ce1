export * from './clients.module.js';
export * from './client.dto.js';
export * from './client.entity.js';
