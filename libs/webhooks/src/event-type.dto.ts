import { ApiProperty } from '@nestjs/swagger';
import { IsArray, IsObject } from 'class-validator';
import { OneOf, Text } from '#libs/common';
import { EVENT_NAMES, TEST_EVENT } from '#libs/contracts';

/** An event that endpoints can be told of. */
export class EventTypeDto {
  /** Name of the event. */
  @OneOf([...EVENT_NAMES, TEST_EVENT])
  name: string;

  /** What happened. */
  @Text(1, 255, { example: 'A message was sent.' })
  description: string;

  /** JSON Schema of the whole payload. */
  @ApiProperty({ type: 'object', additionalProperties: true, example: { type: 'object' } })
  @IsObject()
  schema: object;

  /** A payload. */
  @ApiProperty({ type: 'object', additionalProperties: true, example: { event: 'message.created' } })
  @IsObject()
  example: object;
}

/** Every event. */
export class EventTypesDto {
  /** The events, in the order of the contract. */
  @ApiProperty({ type: () => EventTypeDto, isArray: true })
  @IsArray()
  event_types: EventTypeDto[];
}
