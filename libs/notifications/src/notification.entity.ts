import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

/** One request to notify somebody. `status` is final once `finishedAt` is set; until then the deliveries say. */
@Entity('notifications')
@Index('notifications_active_idx', { synchronize: false })
@Index('notifications_finished_idx', { synchronize: false })
@Index('notifications_room_idx', { synchronize: false })
@ForeignKey('ClientEntity', ['clientId'], ['id'], { name: 'notifications_client_fkey', onDelete: 'CASCADE' })
export class NotificationEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'notifications_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'notifications_pkey' })
  id: string;

  @Column('varchar', { length: 16 })
  type: string;

  @Column('varchar', { length: 16 })
  status: string;

  @Column('varchar', { length: 8 })
  priority: string;

  @Column('varchar', { length: 255, nullable: true })
  subject: string | null;

  @Column('text')
  content: string;

  @Column('jsonb', { name: 'to_email', nullable: true })
  toEmail: string | string[] | null;

  @Column('text', { array: true, nullable: true })
  cc: string[] | null;

  @Column('text', { array: true, nullable: true })
  bcc: string[] | null;

  @Column('varchar', { name: 'reply_to', length: 254, nullable: true })
  replyTo: string | null;

  @Column('varchar', { name: 'from_email', length: 254, nullable: true })
  fromEmail: string | null;

  @Column('varchar', { name: 'from_name', length: 255, nullable: true })
  fromName: string | null;

  @Column('uuid', { name: 'room_id', nullable: true })
  roomId: string | null;

  @Column('uuid', { name: 'user_ids', array: true, nullable: true })
  userIds: string[] | null;

  @Column('varchar', { name: 'webhook_url', length: 2048, nullable: true })
  webhookUrl: string | null;

  @Column('jsonb', { name: 'email_fallback', nullable: true })
  emailFallback: object | null;

  @Column('jsonb', { default: {} })
  meta: object;

  @Column({ type: 'timestamptz', name: 'scheduled_for', precision: 3, nullable: true })
  scheduledFor: Date | null;

  @Column('integer', { name: 'recipients_total' })
  recipientsTotal: number;

  @Column('integer', { name: 'recipients_pending' })
  recipientsPending: number;

  @Column('integer', { name: 'recipients_sent', default: 0 })
  recipientsSent: number;

  @Column('integer', { name: 'recipients_failed', default: 0 })
  recipientsFailed: number;

  @Column('integer', { name: 'live_count', default: 0 })
  liveCount: number;

  @Column('boolean', { name: 'fallback_sent', default: false })
  fallbackSent: boolean;

  @Column('bigint', { name: 'delivery_ms', default: 0 })
  deliveryMs: string;

  @Column('varchar', { name: 'error_code', length: 64, nullable: true })
  errorCode: string | null;

  @Column('varchar', { length: 500, nullable: true })
  error: string | null;

  @Column({ type: 'timestamptz', name: 'sent_at', precision: 3, nullable: true })
  sentAt: Date | null;

  @Column({ type: 'timestamptz', name: 'finished_at', precision: 3, nullable: true })
  finishedAt: Date | null;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3 })
  updatedAt: Date;
}

/** A notification in a user's inbox. */
@Entity('notification_inbox')
@ForeignKey('UserEntity', ['clientId', 'userId'], ['clientId', 'id'], {
  name: 'notification_inbox_user_fkey',
  onDelete: 'CASCADE',
})
@ForeignKey(() => NotificationEntity, ['clientId', 'notificationId'], ['clientId', 'id'], {
  name: 'notification_inbox_notification_fkey',
  onDelete: 'CASCADE',
})
export class NotificationInboxEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'notification_inbox_pkey' })
  clientId: string;

  @PrimaryColumn('uuid', { name: 'user_id', primaryKeyConstraintName: 'notification_inbox_pkey' })
  userId: string;

  @PrimaryColumn('uuid', { name: 'notification_id', primaryKeyConstraintName: 'notification_inbox_pkey' })
  notificationId: string;

  @Column({ type: 'timestamptz', name: 'read_at', precision: 3, nullable: true })
  readAt: Date | null;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;
}

/** The secret that signs a client's notification webhooks, sealed. */
@Entity('notification_secrets')
@ForeignKey('ClientEntity', ['clientId'], ['id'], { name: 'notification_secrets_client_fkey', onDelete: 'CASCADE' })
export class NotificationSecretEntity {
  @PrimaryColumn('uuid', { name: 'client_id', primaryKeyConstraintName: 'notification_secrets_pkey' })
  clientId: string;

  @Column('bytea')
  secret: Buffer;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;
}
