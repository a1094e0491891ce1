import { Injectable } from '@nestjs/common';
import { invalid } from '#libs/common';
import type { Principal } from '#libs/security';
import { ProviderDoctor, type Patient } from './doctor/provider-doctor.js';
import type { EmailProviderValidateDto, EmailProviderValidationDto } from './email-provider.dto.js';
import { toProviderConfig } from './provider-config.mapper.js';
import { ProviderDirectory } from './provider-directory.js';

/** Examines providers on request. */
@Injectable()
export class EmailProviderValidationService {
  constructor(
    private readonly doctor: ProviderDoctor,
    private readonly directory: ProviderDirectory,
  ) {}

  /** The provider of the body, or the stored ones; whatever is wrong with them is the answer. */
  async validate(caller: Principal, input: EmailProviderValidateDto): Promise<EmailProviderValidationDto> {
    const patients = input.provider_config
      ? [given(input)]
      : (await this.directory.of(caller.clientId)).map((provider) => ({ provider }));
    const examined = await Promise.all(
      patients.map(async ({ provider }: Pick<Patient, 'provider'>) => {
        const examination = await this.doctor.examine({ provider, testRecipient: input.test_recipient });
        return [provider.type, examination] as const;
      }),
    );
    return {
      results: Object.fromEntries(examined),
      all_valid: examined.length > 0 && examined.every(([, { valid }]) => valid),
    };
  }
}

function given(input: EmailProviderValidateDto): Pick<Patient, 'provider'> {
  const config = toProviderConfig(input.provider_config!);
  if (input.default_from_email === undefined) {
    throw invalid({ field: 'default_from_email', message: 'default_from_email is required' });
  }
  return {
    provider: {
      config,
      type: config.provider_type,
      defaultFromEmail: input.default_from_email,
      defaultFromName: input.default_from_name ?? null,
    },
  };
}
