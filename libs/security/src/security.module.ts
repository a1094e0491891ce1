import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { CONFIG, type Config } from '#libs/config';
import { AdmissionGuard, KeyStep } from './guards.js';
import { KeyDirectory } from './key-directory.js';
import { RateLimits } from './rate-limits.js';
import { generatedKey, SecretBox } from './secret-box.js';
import { UnitOfWork } from './unit-of-work.js';

/** Keys, limits, transactions, and the guard of every route. */
@Global()
@Module({
  providers: [
    KeyDirectory,
    RateLimits,
    UnitOfWork,
    {
      provide: SecretBox,
      inject: [CONFIG],
      useFactory: async ({ encryptionKeys, dataDir }: Config) =>
        new SecretBox(encryptionKeys.length > 0 ? encryptionKeys : [await generatedKey(dataDir)]),
    },
    KeyStep,
    { provide: APP_GUARD, useClass: AdmissionGuard },
  ],
  exports: [KeyDirectory, RateLimits, UnitOfWork, SecretBox],
})
export class SecurityModule {}
