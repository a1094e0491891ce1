export * from './email/mailer.js';
export * from './notification.dto.js';
export * from './notification.entity.js';
export * from './notifications.module.js';
