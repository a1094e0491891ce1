import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

/** A mail provider of a client, one of each type at most. */
@Entity('email_providers')
@Index('email_providers_primary_key', { synchronize: false })
@Index('email_providers_bulk_key', { synchronize: false })
@ForeignKey('ClientEntity', ['clientId'], ['id'], { name: 'email_providers_client_fkey', onDelete: 'CASCADE' })
export class EmailProviderEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'email_providers_pkey' })
  clientId: string;

  @PrimaryColumn('varchar', {
    name: 'provider_type',
    length: 16,
    primaryKeyConstraintName: 'email_providers_pkey',
  })
  providerType: string;

  @Column('uuid')
  id: string;

  @Column('bytea')
  config: Buffer;

  @Column('boolean', { name: 'is_primary' })
  isPrimary: boolean;

  @Column('boolean', { name: 'is_bulk' })
  isBulk: boolean;

  @Column('varchar', { name: 'default_from_email', length: 254 })
  defaultFromEmail: string;

  @Column('varchar', { name: 'default_from_name', length: 255, nullable: true })
  defaultFromName: string | null;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3 })
  updatedAt: Date;
}
