import { Column, Entity, PrimaryColumn } from 'typeorm';

/** When a scheduled job is due; the process that moves `nextRunAt` runs it. */
@Entity('scheduled_jobs')
export class ScheduledJobEntity {
  @PrimaryColumn('varchar', { length: 64, primaryKeyConstraintName: 'scheduled_jobs_pkey' })
  name: string;

  @Column({ type: 'timestamptz', name: 'next_run_at', precision: 3 })
  nextRunAt: Date;

  @Column({ type: 'timestamptz', name: 'last_run_at', precision: 3, nullable: true })
  lastRunAt: Date | null;
}
