import { Column, Entity, Generated, Index, PrimaryColumn } from 'typeorm';

/** A fact webhooks are to be told of. */
@Entity('events')
@Index('events_waiting_idx', { synchronize: false })
export class EventEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'events_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'events_pkey' })
  id: string;

  @Column('varchar', { length: 32 })
  event: string;

  @Column('uuid', { name: 'room_id', nullable: true })
  roomId: string | null;

  @Column('json')
  data: object;

  /** Its place in the order of facts; within a room that is the order of the changes. */
  @Column('bigint')
  @Generated('increment')
  position: number;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'relayed_at', precision: 3, nullable: true })
  relayedAt: Date | null;
}
