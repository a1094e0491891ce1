import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

/** A message. `change_seq` is the room's seq at its latest change. */
@Entity('messages')
@Index('messages_room_seq_key', { synchronize: false })
@Index('messages_changed_idx', { synchronize: false })
@Index('messages_live_changes_idx', { synchronize: false })
@Index('messages_reply_idx', { synchronize: false })
@Index('messages_client_message_key', { synchronize: false })
@ForeignKey('RoomCounterEntity', ['clientId', 'roomId'], ['clientId', 'roomId'], {
  name: 'messages_room_fkey',
  onDelete: 'CASCADE',
})
@ForeignKey('UserEntity', ['clientId', 'senderId'], ['clientId', 'id'], { name: 'messages_sender_fkey' })
export class MessageEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'messages_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'messages_pkey' })
  id: string;

  @Column('uuid', { name: 'room_id' })
  roomId: string;

  @Column('bigint')
  seq: string;

  @Column('bigint', { name: 'change_seq' })
  changeSeq: string;

  @Column('uuid', { name: 'sender_id', nullable: true })
  senderId: string | null;

  @Column('text')
  content: string;

  @Column('varchar', { name: 'message_type', length: 8 })
  messageType: string;

  @Column('jsonb', { default: {} })
  meta: object;

  @Column('uuid', { name: 'reply_to', nullable: true })
  replyTo: string | null;

  @Column('varchar', { name: 'client_message_id', length: 255, nullable: true })
  clientMessageId: string | null;

  @Column({ type: 'timestamptz', name: 'edited_at', precision: 3, nullable: true })
  editedAt: Date | null;

  @Column('varchar', { name: 'edit_reason', length: 500, nullable: true })
  editReason: string | null;

  @Column({ type: 'timestamptz', name: 'deleted_at', precision: 3, nullable: true })
  deletedAt: Date | null;

  @Column('uuid', { name: 'deleted_by', nullable: true })
  deletedBy: string | null;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3 })
  updatedAt: Date;
}
