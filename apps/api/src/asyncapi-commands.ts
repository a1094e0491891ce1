import type { INestApplication, Type } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { COMMAND_ANSWER } from '#libs/realtime';
import { rulesOf, type RouteRules } from '#libs/security';

// What Nest's decorators leave behind.
const IS_GATEWAY = 'websockets:is_gateway';
const COMMAND_NAME = 'message';
const PARAMETERS = '__routeArguments__';
const PAYLOAD = /^3:/;
const OPERATION = 'swagger/apiOperation';

/** A command a gateway handles, as its decorators and doc comment describe it. */
export interface CommandDescription {
  name: string;
  summary: string;
  /** The DTO class of its data; undefined: it takes none. */
  data: Type | undefined;
  /** What it is answered with; undefined: an empty object. */
  answer: Type | undefined;
  rules: RouteRules;
}

/** Every command of every gateway, by name. */
export function commandsOf(app: INestApplication): CommandDescription[] {
  const found = new Map<string, CommandDescription>();
  for (const module of app.get(ModulesContainer).values()) {
    for (const { metatype } of module.providers.values()) {
      const gateway = metatype as Type | null;
      if (typeof gateway !== 'function' || !Reflect.hasMetadata(IS_GATEWAY, gateway)) continue;
      for (const method of Object.getOwnPropertyNames(gateway.prototype)) {
        const command = describe(gateway, method);
        if (command) found.set(command.name, command);
      }
    }
  }
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name));
}

function describe(gateway: Type, method: string): CommandDescription | undefined {
  const prototype = gateway.prototype as Record<string, object>;
  const handler = prototype[method]!;
  const name = Reflect.getMetadata(COMMAND_NAME, handler) as string | undefined;
  if (name === undefined) return undefined;
  const operation = Reflect.getMetadata(OPERATION, handler) as { summary?: string } | undefined;
  return {
    name,
    summary: operation?.summary ?? '',
    data: dataOf(gateway, method),
    answer: Reflect.getMetadata(COMMAND_ANSWER, handler) as Type | undefined,
    rules: rulesOf(gateway, handler),
  };
}

function dataOf(gateway: Type, method: string): Type | undefined {
  const parameters = (Reflect.getMetadata(PARAMETERS, gateway, method) ?? {}) as Record<string, { index: number }>;
  const key = Object.keys(parameters).find((one) => PAYLOAD.test(one));
  if (key === undefined) return undefined;
  const types = Reflect.getMetadata('design:paramtypes', gateway.prototype as object, method) as Type[];
  return types[parameters[key]!.index];
}
