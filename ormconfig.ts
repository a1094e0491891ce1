import { DataSource } from 'typeorm';
import { ApiKeyEntity, ClientEntity } from '#libs/clients';
import { dataSourceOptions } from '#libs/database';
import { ScheduledJobEntity } from '#libs/jobs';
import { IdempotencyRecordEntity } from '#libs/security';
import { UserEntity } from '#libs/users';

/** The data source of the TypeORM command line, on `DATABASE_URL`. */
export default new DataSource(
  dataSourceOptions(process.env.DATABASE_URL ?? '', [
    ClientEntity,
    ApiKeyEntity,
    UserEntity,
    IdempotencyRecordEntity,
    ScheduledJobEntity,
  ]),
);
