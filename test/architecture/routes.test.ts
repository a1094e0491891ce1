import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ModulesContainer } from '@nestjs/core';
import { getMetadataStorage } from 'class-validator';
import { ROUTE_ANSWER } from '#libs/common';
import { rulesOf, SCOPES } from '#libs/security';
import { startApi, type TestApi } from '../support/api.js';
import { operationsOf, readDocument, type Json } from '../support/document.js';

/** Every route that asks for no key. Whoever adds one says here why. */
const PUBLIC_ROUTES = [
  'POST /api/v1/clients', // Registration: there is no key yet; REGISTRATION_TOKEN guards it where it is set.
];

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'ALL', 'OPTIONS', 'HEAD'];
const ROUTE_ARGS = '__routeArguments__';
/** RouteParamtypes of Nest: `@Body()` and `@Query()`. */
const BODY = 3;
const QUERY = 4;
const NO_CLASS = new Set<unknown>([undefined, Object, String, Number, Boolean, Array]);

type Constructor = new (...args: unknown[]) => object;

interface Route {
  name: string;
  controller: Constructor;
  method: string;
  handler: object;
}

function pathsOf(target: object): string[] {
  const path = Reflect.getMetadata('path', target) as string | string[] | undefined;
  return [path ?? ''].flat();
}

function routesOf(api: TestApi): Route[] {
  const routes: Route[] = [];
  for (const module of api.app.get(ModulesContainer).values()) {
    for (const { metatype } of module.controllers.values()) {
      const controller = metatype as Constructor;
      const prototype = controller.prototype as Record<string, unknown>;
      for (const method of Object.getOwnPropertyNames(prototype)) {
        const handler = prototype[method] as object;
        // The controller's own constructor carries the prefix.
        if (method === 'constructor') continue;
        if (typeof handler !== 'function' || !Reflect.hasMetadata('path', handler)) continue;
        const verb = METHODS[Reflect.getMetadata('method', handler) as number]!;
        const path = `/api/v1/${pathsOf(controller)[0]}/${pathsOf(handler)[0]}`.replace(/\/+/g, '/').replace(/\/$/, '');
        routes.push({ name: `${verb} ${path}`, controller, method, handler });
      }
    }
  }
  return routes;
}

/** The classes of the `@Body()` and `@Query()` parameters of a route. */
function inputsOf({ controller, method }: Route): { kind: number; data: unknown; type: unknown }[] {
  const args = (Reflect.getMetadata(ROUTE_ARGS, controller, method) ?? {}) as Record<
    string,
    { index: number; data: unknown }
  >;
  const types = Reflect.getMetadata('design:paramtypes', controller.prototype as object, method) as unknown[];
  // A parameter decorator of our own has a random name for a kind, which may begin with a digit.
  return Object.entries(args)
    .map(([key, { index, data }]) => ({ kind: Number(/^(\d+):/.exec(key)?.[1]), data, type: types[index] }))
    .filter(({ kind }) => kind === BODY || kind === QUERY);
}

function validatedFields(type: Constructor): Set<string> {
  const rules = getMetadataStorage().getTargetValidationMetadatas(type, '', false, false);
  return new Set(rules.filter((rule) => rule.type !== 'conditionalValidation').map((rule) => rule.propertyName));
}

describe('Every route', () => {
  let api: TestApi;
  let routes: Route[];
  let document: Json;
  before(async () => {
    api = await startApi();
    routes = routesOf(api);
    document = await readDocument(api);
  });
  after(() => api.stop());

  it('declares a scope, or stands on the list of public routes', () => {
    assert.ok(routes.length >= 30);
    const open: string[] = [];
    for (const { name, controller, handler } of routes) {
      const rules = rulesOf(controller, handler);
      if (rules.isPublic) open.push(name);
      else assert.ok(rules.scopes.length > 0, `${name} declares no scope`);
      for (const scope of rules.scopes) assert.ok(SCOPES.includes(scope), `${name}: ${scope}`);
    }
    assert.deepEqual(open.sort(), [...PUBLIC_ROUTES].sort());
  });

  it('asks no key without the guards: an unknown caller gets 401 everywhere else', async () => {
    for (const { name, method, path, parameters } of operationsOf(document)) {
      if (PUBLIC_ROUTES.includes(`${method} /api/v1${path}`)) continue;
      const filled = path.replace(/\{\w+\}/g, '0198c0de-1111-7000-8000-000000000001');
      const reply = await api.call(method, filled, method === 'GET' ? {} : { body: {} });
      assert.equal(reply.status, 401, `${name}: ${reply.text} ${parameters.length}`);
    }
  });

  it('is in the OpenAPI document, with the scopes it enforces', () => {
    const operations = new Map(operationsOf(document).map((one) => [`${one.method} /api/v1${one.path}`, one]));
    for (const { name, controller, handler } of routes) {
      const operation = operations.get(name.replace(/:(\w+)/g, '{$1}'));
      assert.ok(operation, `${name} is not in the document`);
      const rules = rulesOf(controller, handler);
      const scopes = operation.spec['x-required-scopes'] ?? [];
      assert.deepEqual(scopes, [...rules.scopes], name);
      operations.delete(name.replace(/:(\w+)/g, '{$1}'));
      assert.ok(Reflect.hasMetadata(ROUTE_ANSWER, handler), `${name} does not declare what it answers`);
    }
    assert.deepEqual([...operations.keys()], []);
  });

  it('reads bodies and queries into classes with validated fields only', () => {
    let inputs = 0;
    for (const route of routes) {
      for (const { kind, data, type } of inputsOf(route)) {
        const what = `${route.name} ${kind === BODY ? '@Body' : '@Query'}`;
        inputs++;
        assert.equal(data, undefined, `${what} picks a single field, past the DTO`);
        assert.ok(typeof type === 'function' && !NO_CLASS.has(type), `${what} has no run-time class`);
        assert.ok(validatedFields(type as Constructor).size > 0, `${type.name} has no validated field`);
      }
    }
    assert.ok(inputs >= 20);
  });

  it('has a rule for every documented field of what it reads', () => {
    const schemas: Json = document.components.schemas;
    for (const route of routes) {
      for (const { kind, type } of inputsOf(route)) {
        const dto = type as Constructor;
        const ruled = validatedFields(dto);
        const documented =
          kind === BODY
            ? Object.keys(schemas[dto.name].properties)
            : operationsOf(document)
                .find((one) => `${one.method} /api/v1${one.path}` === route.name.replace(/:(\w+)/g, '{$1}'))!
                .parameters.filter((one) => one.in === 'query')
                .map((one) => one.name);
        assert.deepEqual([...documented].sort(), [...ruled].sort(), dto.name);
      }
    }
  });

  it('static paths come before parameter paths', () => {
    for (const [index, { name }] of routes.entries()) {
      const pattern = new RegExp(`^${name.replace(/:\w+/g, '[^/:]+')}$`);
      const shadowed = routes.slice(index + 1).find((later) => later.name !== name && pattern.test(later.name));
      assert.equal(shadowed, undefined, `${shadowed?.name} comes after ${name}`);
    }
  });
});
