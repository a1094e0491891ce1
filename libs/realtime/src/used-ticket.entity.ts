import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

/** A ticket that has been used, until it would have ended by itself. */
@Entity('used_tickets')
@ForeignKey('ClientEntity', ['clientId'], ['id'], { name: 'used_tickets_client_fkey', onDelete: 'CASCADE' })
@Index('used_tickets_expires_idx', { synchronize: false })
export class UsedTicketEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'used_tickets_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'used_tickets_pkey' })
  id: string;

  @Column({ type: 'timestamptz', name: 'expires_at', precision: 3 })
  expiresAt: Date;
}
