export * from './email/mailer.js';
export * from './email/email-providers.module.js';
export * from './email/email-provider.entity.js';
export * from './email/email-providers.repository.js';
export * from './email/email-faults.js';
