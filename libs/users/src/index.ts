export * from './users.module.js';
export * from './users.service.js';
export * from './user-lifecycle.js';
export * from './user.dto.js';
export * from './user.entity.js';
