import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { buildAsyncApi, type AsyncApiDocument } from './asyncapi-document.js';

// Both pages work offline and send nothing to another host; the policy makes the browser enforce it.
const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src 'self' blob:; " +
  "object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

const REDOC_PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>ChatAPI reference</title>
    <link rel="icon" href="data:," />
    <style>body { margin: 0; }</style>
  </head>
  <body>
    <redoc spec-url="/openapi.json"></redoc>
    <script src="/redoc/redoc.standalone.js"></script>
  </body>
</html>
`;

const PIXEL = 'data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==';

function redocBundle(): string {
  const path = createRequire(import.meta.url).resolve('redoc/bundles/redoc.standalone.js');
  return readFileSync(path, 'utf8').replace(/https:\/\/cdn\.redoc\.ly\/[^"'\s]+\.svg/g, PIXEL);
}

/** Serves `/docs`, `/redoc`, `/openapi.json` and `/asyncapi.json`. */
export function addDocsPages(app: NestFastifyApplication, document: OpenAPIObject, publicUrl: string): void {
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onSend', (request, reply, payload, done) => {
    if (request.url.startsWith('/docs') || request.url.startsWith('/redoc')) {
      reply.header('Content-Security-Policy', POLICY).header('X-Content-Type-Options', 'nosniff');
    }
    done(null, payload);
  });
  SwaggerModule.setup('docs', app, document, {
    jsonDocumentUrl: 'openapi.json',
    yamlDocumentUrl: 'openapi.yaml',
    customSiteTitle: 'ChatAPI',
    swaggerOptions: { persistAuthorization: true, tryItOutEnabled: false, validatorUrl: null },
  });
  let asyncApi: AsyncApiDocument | undefined;
  fastify.get('/asyncapi.json', (_request, reply) => reply.send((asyncApi ??= buildAsyncApi(app, publicUrl))));
  let bundle: string | undefined;
  fastify.get('/redoc', (_request, reply) => reply.header('Content-Type', 'text/html; charset=utf-8').send(REDOC_PAGE));
  fastify.get('/redoc/redoc.standalone.js', (_request, reply) => {
    bundle ??= redocBundle();
    return reply
      .header('Content-Type', 'text/javascript; charset=utf-8')
      .header('Cache-Control', 'max-age=3600')
      .send(bundle);
  });
}
