import { applyDecorators, HttpCode, SetMetadata, type Type } from '@nestjs/common';
import { ApiExtraModels } from '@nestjs/swagger';
import type { ErrorCode } from './errors.js';

/** What a route answers, read by the document builder. */
export interface RouteAnswer {
  kind: 'one' | 'page' | 'nothing';
  dto?: Type;
  status: number;
  /** A second success status, for "made now" against "was there". */
  alsoStatus?: number;
  /** The request may come without its body. */
  bodyOptional?: boolean;
  /** Error codes beyond those every route of its shape has. */
  errors: ErrorCode[];
}

/** Metadata key of {@link RouteAnswer}. */
export const ROUTE_ANSWER = 'chatapi:answer';

function answer(value: RouteAnswer): MethodDecorator {
  return applyDecorators(
    SetMetadata(ROUTE_ANSWER, value),
    HttpCode(value.status),
    ...(value.dto ? [ApiExtraModels(value.dto)] : []),
  );
}

/** The route answers one object in the envelope. */
export function Returns(
  dto: Type,
  options: { status?: number; alsoStatus?: number; bodyOptional?: boolean; errors?: ErrorCode[] } = {},
): MethodDecorator {
  return answer({
    kind: 'one',
    dto,
    status: options.status ?? 200,
    alsoStatus: options.alsoStatus,
    bodyOptional: options.bodyOptional,
    errors: options.errors ?? [],
  });
}

/** The route answers a page of objects. */
export function ReturnsPage(dto: Type, options: { errors?: ErrorCode[] } = {}): MethodDecorator {
  return answer({ kind: 'page', dto, status: 200, errors: options.errors ?? [] });
}

/** The route answers 204 with an empty body. */
export function ReturnsNothing(options: { errors?: ErrorCode[] } = {}): MethodDecorator {
  return answer({ kind: 'nothing', status: 204, errors: options.errors ?? [] });
}
