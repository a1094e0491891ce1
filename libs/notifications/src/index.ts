export * from './email/mailer.js';
export * from './notification.dto.js';
export * from './notification.entity.js';
export * from './notifications.module.js';
export * from './email/email-providers.module.js';
export * from './email/email-provider.entity.js';
export * from './email/email-providers.repository.js';
export * from './email/email-faults.js';
