import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

/** One thing to be brought to one receiver. `nextAttemptAt` is null once nothing is left to do. */
@Entity('deliveries')
@Index('deliveries_source_idx', { synchronize: false })
@Index('deliveries_ready_idx', { synchronize: false })
@Index('deliveries_timed_idx', { synchronize: false })
@Index('deliveries_leased_idx', { synchronize: false })
@Index('deliveries_ordered_idx', { synchronize: false })
@Index('deliveries_lane_idx', { synchronize: false })
@Index('deliveries_recipient_idx', { synchronize: false })
@ForeignKey('ClientEntity', ['clientId'], ['id'], { name: 'deliveries_client_fkey', onDelete: 'CASCADE' })
export class DeliveryEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'deliveries_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'deliveries_pkey' })
  id: string;

  @Column('varchar', { length: 32 })
  kind: string;

  @Column('uuid', { name: 'source_id' })
  sourceId: string;

  @Column('varchar', { length: 64 })
  lane: string;

  @Column('varchar', { length: 2048 })
  target: string;

  @Column('smallint')
  priority: number;

  @Column('varchar', { name: 'order_key', length: 64, nullable: true })
  orderKey: string | null;

  @Column('varchar', { length: 64, nullable: true })
  subject: string | null;

  @Column('varchar', { length: 16 })
  status: string;

  @Column('varchar', { length: 8, nullable: true })
  stage: string | null;

  @Column('integer', { name: 'attempt_count', default: 0 })
  attemptCount: number;

  @Column('integer', { name: 'attempt_base', default: 0 })
  attemptBase: number;

  @Column({ type: 'timestamptz', name: 'next_attempt_at', precision: 3, nullable: true })
  nextAttemptAt: Date | null;

  @Column({ type: 'timestamptz', name: 'lease_until', precision: 3, nullable: true })
  leaseUntil: Date | null;

  @Column('varchar', { name: 'error_code', length: 64, nullable: true })
  errorCode: string | null;

  @Column('varchar', { length: 500, nullable: true })
  error: string | null;

  @Column({ type: 'timestamptz', name: 'finished_at', precision: 3, nullable: true })
  finishedAt: Date | null;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3 })
  updatedAt: Date;
}

/** One try of a delivery. */
@Entity('delivery_attempts')
@ForeignKey(() => DeliveryEntity, ['clientId', 'deliveryId'], ['clientId', 'id'], {
  name: 'delivery_attempts_delivery_fkey',
  onDelete: 'CASCADE',
})
export class DeliveryAttemptEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'delivery_attempts_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { name: 'delivery_id', primaryKeyConstraintName: 'delivery_attempts_pkey' })
  deliveryId: string;

  @PrimaryColumn('integer', { name: 'attempt_number', primaryKeyConstraintName: 'delivery_attempts_pkey' })
  attemptNumber: number;

  @Column('varchar', { length: 16 })
  status: string;

  @Column('varchar', { name: 'error_code', length: 64, nullable: true })
  errorCode: string | null;

  @Column('varchar', { length: 500, nullable: true })
  error: string | null;

  @Column('varchar', { name: 'provider_name', length: 64, nullable: true })
  providerName: string | null;

  @Column('varchar', { name: 'provider_message_id', length: 255, nullable: true })
  providerMessageId: string | null;

  @Column('smallint', { name: 'status_code', nullable: true })
  statusCode: number | null;

  @Column('jsonb', { name: 'response_headers', nullable: true })
  responseHeaders: object | null;

  @Column('text', { name: 'response_body', nullable: true })
  responseBody: string | null;

  @Column('integer', { name: 'response_time_ms' })
  responseTimeMs: number;

  @Column({ type: 'timestamptz', name: 'attempted_at', precision: 3 })
  attemptedAt: Date;
}
