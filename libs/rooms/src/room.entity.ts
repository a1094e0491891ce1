import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

/** A room. */
@Entity('rooms')
@Index('rooms_direct_key', { synchronize: false })
@ForeignKey('ClientEntity', ['clientId'], ['id'], { name: 'rooms_client_fkey', onDelete: 'CASCADE' })
@ForeignKey('UserEntity', ['clientId', 'createdBy'], ['clientId', 'id'], { name: 'rooms_created_by_fkey' })
export class RoomEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'rooms_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'rooms_pkey' })
  id: string;

  @Column('varchar', { length: 100, nullable: true })
  name: string | null;

  @Column('varchar', { length: 2000, nullable: true })
  description: string | null;

  @Column('varchar', { name: 'room_type', length: 16 })
  roomType: string;

  @Column('varchar', { length: 16 })
  visibility: string;

  @Column('integer', { name: 'max_members' })
  maxMembers: number;

  @Column('jsonb', { default: {} })
  meta: object;

  @Column('boolean', { name: 'is_active', default: true })
  isActive: boolean;

  @Column('varchar', { name: 'deactivated_reason', length: 16, nullable: true })
  deactivatedReason: string | null;

  @Column('uuid', { name: 'created_by', nullable: true })
  createdBy: string | null;

  @Column('varchar', { name: 'direct_key', length: 73, nullable: true })
  directKey: string | null;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3 })
  updatedAt: Date;

  /** When it was last switched on by hand. */
  @Column({ type: 'timestamptz', name: 'active_since', precision: 3, nullable: true })
  activeSince: Date | null;
}

/** What churns with every change of a conversation. Everything that takes a seq locks this row. */
@Entity('room_counters')
@ForeignKey(() => RoomEntity, ['clientId', 'roomId'], ['clientId', 'id'], {
  name: 'room_counters_room_fkey',
  onDelete: 'CASCADE',
})
export class RoomCounterEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'room_counters_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { name: 'room_id', primaryKeyConstraintName: 'room_counters_pkey' })
  roomId: string;

  @Column('bigint', { default: 0 })
  seq: string;

  @Column('bigint', { name: 'message_count', default: 0 })
  messageCount: string;

  @Column('bigint', { name: 'deleted_count', default: 0 })
  deletedCount: string;

  @Column('integer', { name: 'member_count', default: 0 })
  memberCount: number;

  @Column({ type: 'timestamptz', name: 'last_message_at', precision: 3, nullable: true })
  lastMessageAt: Date | null;

  @Column({ type: 'timestamptz', name: 'last_change_at', precision: 3 })
  lastChangeAt: Date;
}

/** A user in a room; the row stays when the user leaves. */
@Entity('room_members')
@Index('room_members_user_idx', { synchronize: false })
@Index('room_members_change_idx', { synchronize: false })
@ForeignKey(() => RoomEntity, ['clientId', 'roomId'], ['clientId', 'id'], {
  name: 'room_members_room_fkey',
  onDelete: 'CASCADE',
})
@ForeignKey('UserEntity', ['clientId', 'userId'], ['clientId', 'id'], {
  name: 'room_members_user_fkey',
  onDelete: 'CASCADE',
})
export class RoomMemberEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'room_members_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { name: 'room_id', primaryKeyConstraintName: 'room_members_pkey' })
  roomId: string;

  @PrimaryColumn('uuid', { name: 'user_id', primaryKeyConstraintName: 'room_members_pkey' })
  userId: string;

  @Column('varchar', { length: 8 })
  role: string;

  @Column({ type: 'timestamptz', name: 'joined_at', precision: 3 })
  joinedAt: Date;

  @Column({ type: 'timestamptz', name: 'left_at', precision: 3, nullable: true })
  leftAt: Date | null;

  @Column('varchar', { name: 'left_reason', length: 8, nullable: true })
  leftReason: string | null;

  @Column('bigint', { name: 'change_seq' })
  changeSeq: string;

  @Column('bigint', { name: 'last_read_seq', default: 0 })
  lastReadSeq: string;
}
