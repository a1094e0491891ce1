import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';

const PAGE = 'examples/chat.html';
const INLINE_SCRIPT = /<script>([\s\S]*?)<\/script>/g;

/** As strict as for the documentation pages; the page's own script is allowed by its hash. */
function policyFor(page: string): string {
  const hashes = [...page.matchAll(INLINE_SCRIPT)].map(
    ([, script]) => `'sha256-${createHash('sha256').update(script!).digest('base64')}'`,
  );
  return (
    `default-src 'self'; script-src 'self' ${hashes.join(' ')}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; ` +
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
  );
}

function clientBundle(): string {
  const home = dirname(createRequire(import.meta.url).resolve('socket.io/package.json'));
  const bundle = readFileSync(join(home, 'client-dist/socket.io.min.js'), 'utf8');
  return bundle.replace(/^\/\/# sourceMappingURL=.*$/m, '');
}

/**
 * Serves the example chat at `/examples/chat`. For development only: the page registers an application and keeps its
 * client key in the browser, which a real application never does. Absent where the sources are not (the Docker image).
 */
export function addExamplePage(app: NestFastifyApplication): void {
  if (!existsSync(PAGE)) return;
  const fastify = app.getHttpAdapter().getInstance();
  fastify.get('/examples/chat', (_request, reply) => {
    const page = readFileSync(PAGE, 'utf8');
    return reply
      .header('Content-Type', 'text/html; charset=utf-8')
      .header('Content-Security-Policy', policyFor(page))
      .header('X-Content-Type-Options', 'nosniff')
      .send(page);
  });
  let bundle: string | undefined;
  fastify.get('/examples/socket.io.min.js', (_request, reply) =>
    reply
      .header('Content-Type', 'text/javascript; charset=utf-8')
      .header('X-Content-Type-Options', 'nosniff')
      .header('Cache-Control', 'max-age=3600')
      .send((bundle ??= clientBundle())),
  );
}
