export * from './rooms.module.js';
export * from './rooms.service.js';
export * from './room.errors.js';
export * from './room.dto.js';
export * from './room-member.dto.js';
export * from './room.entity.js';
export * from './room-command.dto.js';
export * from './room-online.dto.js';
