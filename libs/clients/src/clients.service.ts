import { Injectable } from '@nestjs/common';
import { ApiError, forbidden, invalid, newId, notFound, type Page } from '#libs/common';
import { EventLog } from '#libs/events';
import { createKey, KeyDirectory, SCOPES, UnitOfWork, type Principal } from '#libs/security';
import type {
  ApiKeyCreateDto,
  ApiKeyDto,
  ApiKeyListQueryDto,
  ApiKeyRotateDto,
  ClientCreateDto,
  ClientDto,
  ClientEraseDto,
  ClientUpdateDto,
  NewApiKeyDto,
  RegisteredClientDto,
} from './client.dto.js';
import { toApiKeyDto, toClientDto } from './client.mapper.js';
import { ClientsRepository } from './clients.repository.js';

/** Tenants and their keys. */
@Injectable()
export class ClientsService {
  constructor(
    private readonly repository: ClientsRepository,
    private readonly uow: UnitOfWork,
    private readonly keys: KeyDirectory,
    private readonly events: EventLog,
  ) {}

  /** Registers a tenant with its master key. */
  register(caller: Principal, input: ClientCreateDto): Promise<RegisteredClientDto> {
    const id = newId();
    const secret = createKey('client');
    return this.uow.run(caller, async (tx) => {
      const row = await this.repository.insert(tx, id, input.name, input.description ?? null);
      await this.repository.insertKey(tx, id, {
        id: newId(),
        secret,
        isMaster: true,
        name: null,
        scopes: SCOPES,
        expiresAt: null,
      });
      return { ...toClientDto(row), master_api_key: secret.key };
    });
  }

  /** The calling client. */
  async me(caller: Principal): Promise<ClientDto> {
    const row = await this.repository.find(caller.clientId);
    if (!row) throw notFound('Client');
    return toClientDto(row);
  }

  /** Changes the calling client. */
  update(caller: Principal, input: ClientUpdateDto): Promise<ClientDto> {
    return this.uow.run(caller, async (tx) => {
      const row = await this.repository.update(tx, caller.clientId, input);
      if (!row) throw notFound('Client');
      // Cached principals carry the client's name, which messages sent as the client show.
      await this.keys.revoked(tx, { clientId: caller.clientId });
      const client = toClientDto(row);
      await this.events.add(tx, { clientId: caller.clientId, event: 'client.updated', data: client });
      return client;
    });
  }

  /** Erases the tenant and all it owns. */
  async erase(caller: Principal, input: ClientEraseDto): Promise<void> {
    if (!caller.isMaster) throw forbidden('Only the master key can erase the client');
    await this.uow.run(caller, async (tx) => {
      if (!(await this.repository.erase(tx, caller.clientId, input.confirm))) {
        throw invalid({ field: 'confirm', message: "confirm must be the client's exact name" });
      }
      await this.keys.revoked(tx, { clientId: caller.clientId });
      return {};
    });
  }

  /** Makes a narrower key; it never grants what the calling key lacks. */
  mintKey(caller: Principal, input: ApiKeyCreateDto): Promise<NewApiKeyDto> {
    const missing = input.scopes.filter((scope) => !caller.scopes.has(scope));
    if (missing.length > 0) throw forbidden(`This key cannot grant what it lacks: ${missing.join(', ')}`);
    const expiresAt = input.expires_at ? new Date(input.expires_at) : null;
    if (expiresAt !== null && expiresAt.getTime() <= Date.now()) {
      throw invalid({ field: 'expires_at', message: 'expires_at must be in the future' });
    }
    const secret = createKey('client');
    return this.uow.run(caller, async (tx) => {
      const row = await this.repository.insertKey(tx, caller.clientId, {
        id: newId(),
        secret,
        isMaster: false,
        name: input.name ?? null,
        scopes: [...new Set(input.scopes)],
        expiresAt,
      });
      return { ...toApiKeyDto(row), key: secret.key };
    });
  }

  /** The client's living keys. */
  listKeys(caller: Principal, query: ApiKeyListQueryDto): Promise<Page<ApiKeyDto>> {
    return this.repository.listKeys(caller.clientId, query);
  }

  /** Ends a key at once. */
  async revokeKey(caller: Principal, keyId: string): Promise<void> {
    await this.uow.run(caller, async (tx) => {
      const row = await this.repository.findKeyForUpdate(tx, caller.clientId, keyId);
      if (!row) throw notFound('Key');
      if (row.is_master) throw new ApiError('INVALID_STATE', 'The master key is replaced by rotation, not revoked');
      await this.repository.endKey(tx, caller.clientId, keyId, 0);
      await this.keys.revoked(tx, { publicId: row.public_id });
      return {};
    });
  }

  /** Replaces the master key; the old one lives on for the grace. */
  rotateMaster(caller: Principal, input: ApiKeyRotateDto): Promise<NewApiKeyDto> {
    const secret = createKey('client');
    // Its record is the very key's, not the client's: the replaced key may ask again for an answer it lost, and no
    // other key of the client can. Inside, because that key is not the master key any more.
    const asKey = { ...caller, id: `key:${caller.keyId}` };
    return this.uow.run(asKey, async (tx) => {
      if (!caller.isMaster) throw forbidden('Only the master key can replace the master key');
      const old = await this.repository.findKeyForUpdate(tx, caller.clientId, caller.keyId!);
      if (!old?.is_master) throw new ApiError('INVALID_STATE', 'The master key was replaced a moment ago');
      await this.repository.endKey(tx, caller.clientId, old.id, input.grace_seconds!);
      const row = await this.repository.insertKey(tx, caller.clientId, {
        id: newId(),
        secret,
        isMaster: true,
        name: null,
        scopes: SCOPES,
        expiresAt: null,
      });
      await this.keys.revoked(tx, { publicId: old.public_id });
      return { ...toApiKeyDto(row), key: secret.key };
    });
  }
}
