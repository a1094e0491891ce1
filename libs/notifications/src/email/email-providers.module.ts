import { Module } from '@nestjs/common';
import { ProviderDoctor } from './doctor/provider-doctor.js';
import { EmailProviderValidationService } from './email-provider-validation.service.js';
import { EmailProvidersController } from './email-providers.controller.js';
import { EmailProvidersRepository } from './email-providers.repository.js';
import { EmailProvidersService } from './email-providers.service.js';
import { Mailer } from './mailer.js';
import { ProviderDirectory } from './provider-directory.js';
import { ProviderMailer } from './provider-mailer.js';
import { Transports } from './transports/transports.js';

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
export class EmailProvidersModule {}
