import { Injectable, type ArgumentMetadata, type PipeTransform } from '@nestjs/common';
import { compileDto, type DtoClass, type DtoParser } from './dto-validator.js';
import { invalid } from './errors.js';
import { isUuid } from './ids.js';

const PRIMITIVES = new Set<unknown>([String, Number, Boolean, Object, Array]);

/** The one pipe of the application: parses bodies and queries by their DTO class and path ids as UUIDs. */
@Injectable()
export class DtoPipe implements PipeTransform {
  private readonly parsers = new Map<unknown, DtoParser<object>>();

  transform(value: unknown, metadata: ArgumentMetadata): unknown {
    if (metadata.type === 'param') {
      if (metadata.data?.endsWith('_id') && !isUuid(value)) {
        throw invalid({ field: metadata.data, message: `${metadata.data} must be a UUID` });
      }
      return typeof value === 'string' ? value.toLowerCase() : value;
    }
    if (metadata.type !== 'body' && metadata.type !== 'query') return value;
    const { metatype } = metadata;
    if (!metatype || PRIMITIVES.has(metatype)) throw new Error('A body or query parameter needs a DTO class');
    let parser = this.parsers.get(metatype);
    if (!parser) {
      parser = compileDto(metatype as DtoClass, metadata.type);
      this.parsers.set(metatype, parser);
    }
    return parser(value ?? {});
  }
}
