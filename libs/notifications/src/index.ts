export * from './email/mailer.js';
