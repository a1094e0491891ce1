import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

/** An end user of a client. A deleted one keeps its row, without personal fields, for the messages it sent. */
@Entity('users')
@Index('users_email_key', { synchronize: false })
@Index('users_username_key', { synchronize: false })
@Index('users_external_id_key', { synchronize: false })
@ForeignKey('ClientEntity', ['clientId'], ['id'], { name: 'users_client_fkey', onDelete: 'CASCADE' })
export class UserEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'users_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'users_pkey' })
  id: string;

  @Column('varchar', { name: 'external_id', length: 255, nullable: true })
  externalId: string | null;

  @Column('varchar', { length: 254, nullable: true })
  email: string | null;

  @Column('varchar', { length: 100, nullable: true })
  username: string | null;

  @Column('varchar', { name: 'full_name', length: 255, nullable: true })
  fullName: string | null;

  @Column('jsonb', { default: {} })
  meta: object;

  @Column('boolean', { name: 'is_active', default: true })
  isActive: boolean;

  @Column({ type: 'timestamptz', name: 'deleted_at', precision: 3, nullable: true })
  deletedAt: Date | null;

  @Column({ type: 'timestamptz', name: 'last_seen_at', precision: 3, nullable: true })
  lastSeenAt: Date | null;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3 })
  updatedAt: Date;
}
