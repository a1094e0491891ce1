import assert from 'node:assert/strict';
import { it } from 'node:test';
import { readConfig } from '#libs/config';
import { MAIL_TIMEOUT_MS } from '../email/mailer.js';
import { SendEmailHandler } from './send-email.handler.js';

it('The engine never cuts off a mail before the mailer itself gives it up: it might arrive, and be sent again', () => {
  const none = undefined as never;
  const handler = new SendEmailHandler(none, none, none, none, none, readConfig({}));
  assert(handler.timeoutMs > MAIL_TIMEOUT_MS);
});
