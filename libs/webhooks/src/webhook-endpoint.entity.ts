import { Column, Entity, ForeignKey, PrimaryColumn } from 'typeorm';

/** Where a client wants to be told of events. Secrets are sealed. */
@Entity('webhook_endpoints')
@ForeignKey('ClientEntity', ['clientId'], ['id'], { name: 'webhook_endpoints_client_fkey', onDelete: 'CASCADE' })
export class WebhookEndpointEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'webhook_endpoints_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'webhook_endpoints_pkey' })
  id: string;

  @Column('varchar', { length: 2048 })
  url: string;

  @Column('varchar', { length: 2000, nullable: true })
  description: string | null;

  @Column('text', { array: true })
  events: string[];

  @Column('uuid', { name: 'room_ids', array: true, default: [] })
  roomIds: string[];

  @Column('boolean', { name: 'is_active', default: true })
  isActive: boolean;

  @Column('varchar', { name: 'disabled_reason', length: 32, nullable: true })
  disabledReason: string | null;

  @Column('boolean', { default: false })
  ordered: boolean;

  @Column('bytea')
  secret: Buffer;

  @Column('bytea', { name: 'previous_secret', nullable: true })
  previousSecret: Buffer | null;

  @Column({ type: 'timestamptz', name: 'previous_secret_until', precision: 3, nullable: true })
  previousSecretUntil: Date | null;

  @Column('jsonb', { name: 'custom_headers', default: {} })
  customHeaders: object;

  @Column('jsonb', { default: {} })
  meta: object;

  @Column({ type: 'timestamptz', name: 'last_delivery_at', precision: 3, nullable: true })
  lastDeliveryAt: Date | null;

  @Column('integer', { name: 'consecutive_failures', default: 0 })
  consecutiveFailures: number;

  @Column({ type: 'timestamptz', name: 'failing_since', precision: 3, nullable: true })
  failingSince: Date | null;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3 })
  updatedAt: Date;
}
