import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

/** A tenant. */
@Entity('clients')
export class ClientEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'clients_pkey' })
  id: string;

  @Column('varchar', { length: 255 })
  name: string;

  @Column('varchar', { length: 2000, nullable: true })
  description: string | null;

  @Column('boolean', { name: 'is_active', default: true })
  isActive: boolean;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3 })
  updatedAt: Date;
}

/** A key of a client or of one of its users. */
@Entity('api_keys')
@Index('api_keys_public_id_key', ['publicId'], { unique: true })
@Index('api_keys_living_user_key', { synchronize: false })
@ForeignKey(() => ClientEntity, ['clientId'], ['id'], { name: 'api_keys_client_fkey', onDelete: 'CASCADE' })
@ForeignKey('UserEntity', ['clientId', 'userId'], ['clientId', 'id'], {
  name: 'api_keys_user_fkey',
  onDelete: 'CASCADE',
})
export class ApiKeyEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'api_keys_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'api_keys_pkey' })
  id: string;

  @Column('varchar', { name: 'public_id', length: 8 })
  publicId: string;

  @Column('varchar', { length: 8 })
  kind: string;

  @Column('bytea')
  hash: Buffer;

  @Column('boolean', { name: 'is_master', default: false })
  isMaster: boolean;

  @Column('uuid', { name: 'user_id', nullable: true })
  userId: string | null;

  @Column('varchar', { length: 100, nullable: true })
  device: string | null;

  @Column('varchar', { length: 255, nullable: true })
  name: string | null;

  @Column('text', { array: true, default: [] })
  scopes: string[];

  @Column({ type: 'timestamptz', name: 'expires_at', precision: 3, nullable: true })
  expiresAt: Date | null;

  @Column({ type: 'timestamptz', name: 'revoked_at', precision: 3, nullable: true })
  revokedAt: Date | null;

  @Column({ type: 'timestamptz', name: 'last_used_at', precision: 3, nullable: true })
  lastUsedAt: Date | null;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;
}
