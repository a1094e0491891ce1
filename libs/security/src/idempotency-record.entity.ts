import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** The stored answer to a request with an Idempotency-Key. */
@Entity('idempotency_records')
@Index('idempotency_records_age_idx', ['createdAt'])
export class IdempotencyRecordEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'idempotency_records_pkey' })
  clientId: string;

  @PrimaryColumn('varchar', { length: 64, primaryKeyConstraintName: 'idempotency_records_pkey' })
  principal: string;

  @PrimaryColumn('varchar', { length: 128, primaryKeyConstraintName: 'idempotency_records_pkey' })
  route: string;

  @PrimaryColumn('varchar', { length: 255, primaryKeyConstraintName: 'idempotency_records_pkey' })
  key: string;

  @Column('bytea', { name: 'body_hash' })
  bodyHash: Buffer;

  @Column('smallint')
  status: number;

  @Column('bytea')
  response: Buffer;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;
}
