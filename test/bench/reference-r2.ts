/**
 * Reference R2: the same Nest stack the usual way. A global ValidationPipe, ClassSerializerInterceptor, a guard that
 * hashes the key and looks it up in the database, and a repository's `save`. No limit and no membership is checked.
 */
import 'reflect-metadata';
import {
  Body,
  type CanActivate,
  ClassSerializerInterceptor,
  Controller,
  type ExecutionContext,
  Injectable,
  Module,
  Post,
  Req,
  UnauthorizedException,
  UseGuards,
  ValidationPipe,
} from '@nestjs/common';
import { NestFactory, Reflector } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { Exclude } from 'class-transformer';
import { IsIn, IsObject, IsOptional, IsString, IsUUID, Length } from 'class-validator';
import { BeforeInsert, Column, Entity, PrimaryColumn, Repository } from 'typeorm';
import { newId } from '#libs/common';
import { endWithHarness, hashKey, referenceSettings } from './references.js';

@Entity('messages')
class Message {
  // The id alone identifies the entity, and is made late, so that `save` has no reason to look for the row first.
  @PrimaryColumn('uuid')
  id: string;

  @Exclude()
  @Column('uuid', { name: 'client_id' })
  clientId: string;

  @Column('uuid')
  room_id: string;

  @Column('bigint')
  seq: number;

  @Exclude()
  @Column('bigint')
  change_seq: number;

  @Column('uuid')
  sender_id: string;

  @Column('text')
  content: string;

  @Column('varchar')
  message_type: string;

  @Column('jsonb')
  meta: object;

  @Column('timestamptz')
  created_at: Date;

  @Column('timestamptz')
  updated_at: Date;

  @BeforeInsert()
  identify(): void {
    this.id = newId();
  }
}

@Entity('api_keys')
class ApiKey {
  @PrimaryColumn('uuid')
  id: string;

  @Column('varchar', { name: 'key_hash' })
  keyHash: string;

  @Column('uuid', { name: 'client_id' })
  clientId: string;

  @Column('uuid', { name: 'user_id' })
  userId: string;

  @Column('boolean', { name: 'is_active' })
  isActive: boolean;
}

class MessageCreateDto {
  @IsUUID()
  room_id: string;

  @IsString()
  @Length(1, 10_000)
  content: string;

  @IsOptional()
  @IsIn(['text', 'image', 'file', 'custom'])
  message_type: string = 'text';

  @IsOptional()
  @IsObject()
  meta: object = {};
}

interface Authenticated {
  headers: { authorization?: string };
  caller: ApiKey;
}

@Injectable()
class ApiKeyGuard implements CanActivate {
  constructor(@InjectRepository(ApiKey) private readonly keys: Repository<ApiKey>) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<Authenticated>();
    const key = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    const caller = await this.keys.findOneBy({ keyHash: hashKey(key), isActive: true });
    if (!caller) throw new UnauthorizedException();
    request.caller = caller;
    return true;
  }
}

let lastSeq = 0;

@Injectable()
class MessagesService {
  constructor(@InjectRepository(Message) private readonly messages: Repository<Message>) {}

  create(caller: ApiKey, input: MessageCreateDto): Promise<Message> {
    const seq = ++lastSeq;
    const now = new Date();
    return this.messages.save(
      this.messages.create({
        ...input,
        clientId: caller.clientId,
        sender_id: caller.userId,
        seq,
        change_seq: seq,
        created_at: now,
        updated_at: now,
      }),
    );
  }
}

@Controller('api/v1/messages')
@UseGuards(ApiKeyGuard)
class MessagesController {
  constructor(private readonly messages: MessagesService) {}

  @Post()
  create(@Req() request: Authenticated, @Body() body: MessageCreateDto): Promise<Message> {
    return this.messages.create(request.caller, body);
  }
}

const settings = referenceSettings();

@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: settings.databaseUrl,
      entities: [Message, ApiKey],
      poolSize: settings.poolSize,
    }),
    TypeOrmModule.forFeature([Message, ApiKey]),
  ],
  controllers: [MessagesController],
  providers: [MessagesService],
})
class AppModule {}

endWithHarness();
const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), {
  logger: ['error', 'warn'],
});
app.useGlobalPipes(new ValidationPipe({ transform: true, whitelist: true }));
app.useGlobalInterceptors(new ClassSerializerInterceptor(app.get(Reflector)));
await app.listen(settings.port, '127.0.0.1');
process.send?.('listening');
