import { Module } from '@nestjs/common';
import { Scheduler } from '#libs/jobs';
import { ProviderDoctor } from './doctor/provider-doctor.js';
import { EmailProviderValidationService } from './email-provider-validation.service.js';
import { EmailProvidersController } from './email-providers.controller.js';
import { EmailProvidersRepository } from './email-providers.repository.js';
import { EmailProvidersService } from './email-providers.service.js';
import { Mailer } from './mailer.js';
import { ProviderDirectory } from './provider-directory.js';
import { ProviderMailer } from './provider-mailer.js';
import { Transports } from './transports/transports.js';

const RESEAL_EVERY_SECONDS = 600;
const RESEAL_BATCH = 1_000;

/** Email providers and the sending of mail by them. */
@Module({
  controllers: [EmailProvidersController],
  providers: [
    EmailProvidersService,
    EmailProviderValidationService,
    ProviderDoctor,
    EmailProvidersRepository,
    ProviderDirectory,
    Transports,
    { provide: Mailer, useClass: ProviderMailer },
  ],
  exports: [Mailer],
})
export class EmailProvidersModule {
  constructor(scheduler: Scheduler, repository: EmailProvidersRepository) {
    // After a change of ENCRYPTION_KEY the older keys become unnecessary by themselves.
    const run = async (): Promise<void> => {
      while ((await repository.reseal(RESEAL_BATCH)) === RESEAL_BATCH);
    };
    scheduler.register({ name: 'reseal-email-providers', everySeconds: RESEAL_EVERY_SECONDS, run });
  }
}
