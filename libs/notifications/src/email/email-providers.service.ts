import { Injectable } from '@nestjs/common';
import { invalid, newId, notFound, type Page } from '#libs/common';
import { EgressError, EgressGuard } from '#libs/egress';
import { SecretBox, UnitOfWork, type Principal } from '#libs/security';
import type { EmailProviderDto, EmailProviderListQueryDto, EmailProviderPutDto } from './email-provider.dto.js';
import { toEmailProviderDto } from './email-provider.mapper.js';
import { EmailProvidersRepository } from './email-providers.repository.js';
import { PROVIDER_TYPES, type ProviderConfig, type ProviderType } from './provider-configs.js';
import { ProviderDirectory } from './provider-directory.js';
import { toProviderConfig } from './provider-config.mapper.js';
import { Transports } from './transports/transports.js';

/** The mail providers of a client. */
@Injectable()
export class EmailProvidersService {
  constructor(
    private readonly repository: EmailProvidersRepository,
    private readonly uow: UnitOfWork,
    private readonly box: SecretBox,
    private readonly guard: EgressGuard,
    private readonly directory: ProviderDirectory,
    private readonly transports: Transports,
  ) {}

  /** Sets the provider of its type; a flag it takes leaves the one that had it, in the same commit. */
  async put(caller: Principal, input: EmailProviderPutDto): Promise<EmailProviderDto> {
    const config = toProviderConfig(input.provider_config);
    await this.checkTarget(config);
    const { clientId } = caller;
    const { is_primary: isPrimary = null, is_bulk: isBulk = null } = input;
    const row = await this.uow.run(caller, async (tx) => {
      await this.repository.lock(tx, clientId);
      await this.repository.clearFlags(tx, clientId, config.provider_type, isPrimary === true, isBulk === true);
      return this.repository.upsert(tx, clientId, {
        id: newId(),
        providerType: config.provider_type,
        config: this.box.seal(JSON.stringify(config)),
        isPrimary,
        isBulk,
        defaultFromEmail: input.default_from_email,
        defaultFromName: input.default_from_name ?? null,
      });
    });
    this.forget(clientId);
    return toEmailProviderDto(row, this.box);
  }

  /** The providers of the client, secrets masked. */
  list(caller: Principal, query: EmailProviderListQueryDto): Promise<Page<EmailProviderDto>> {
    return this.repository.list(caller.clientId, query);
  }

  /** Forgets a provider with its secrets. */
  async remove(caller: Principal, providerType: string): Promise<void> {
    if (!PROVIDER_TYPES.includes(providerType as ProviderType)) {
      const message = `provider_type must be one of ${PROVIDER_TYPES.join(', ')}`;
      throw invalid({ field: 'provider_type', message });
    }
    await this.uow.run(caller, async (tx) => {
      const gone = await this.repository.delete(tx, caller.clientId, providerType as ProviderType);
      if (!gone) throw notFound('Email provider');
      return {};
    });
    this.forget(caller.clientId);
  }

  /** A target that may not be reached is refused now; one that does not resolve today may tomorrow. */
  private async checkTarget(config: ProviderConfig): Promise<void> {
    const field = config.provider_type === 'smtp' ? 'provider_config.host' : 'provider_config.base_url';
    try {
      if (config.provider_type === 'smtp') await this.guard.resolve(config.host);
      else if (config.base_url !== null) await this.guard.check(config.base_url);
    } catch (error) {
      if (!(error instanceof EgressError)) throw error;
      if (error.fault === 'EGRESS_DNS') return;
      throw invalid({ field, message: `${field}: ${error.message}` });
    }
  }

  private forget(clientId: string): void {
    this.directory.forget(clientId);
    this.transports.forget(clientId);
  }
}
