import { rememberUrl } from '../secrets.ts';

/** The environment variables that a configuration reads: its own and libpq's. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Why a text is no connection URL, without showing it: it may hold a password. Undefined when it is one. */
export function urlProblem(value: string): string | undefined {
  if (value === '') return 'is empty; use a URL like postgres://user@host:5432/database';
  if (!/^postgres(?:ql)?:\/\//i.test(value))
    return "isn't a PostgreSQL URL; it must start with postgres:// or postgresql://";
  const url = parse(value);
  if (!url) return "isn't a valid URL; in a password, write @ : / ? # % as %40 %3A %2F %3F %23 %25";
  if (url.hash) return 'contains a #; in a password, write %23';
  if (![url.username, url.password, url.pathname, url.hostname].every(decodes)) {
    return "contains a % that isn't an escape; write %25";
  }
  return undefined;
}

/** Fills what a URL leaves out from libpq's variables, as psql does; `database` when nothing names one. */
export function completeUrl(
  value: string,
  env: Environment,
  database: { name: string; fromEnv: boolean },
): string {
  rememberUrl(value);
  const url = parse(value);
  if (!url) return value;
  const { PGHOST: host, PGPORT: port, PGUSER: user, PGPASSWORD: password, PGSSLMODE: sslmode } = env;
  const params = url.searchParams;
  if (url.hostname === NO_HOST && host && !params.has('host')) {
    if (host.startsWith('/')) params.set('host', host);
    else url.hostname = host;
  }
  if (!url.port && !params.has('port') && port) url.port = port;
  if (!url.username && !params.has('user') && user) url.username = encodeURIComponent(user);
  if (!url.password && !params.has('password') && password) url.password = encodeURIComponent(password);
  if (!params.has('sslmode') && sslmode) params.set('sslmode', sslmode);
  if (url.pathname.length <= 1 && !params.has('dbname')) {
    url.pathname = `/${encodeURIComponent((database.fromEnv && env['PGDATABASE']) || database.name)}`;
  }
  return url.href.replace(NO_HOST, '');
}

/** The URL of another database on the same server. */
export function withDatabase(value: string, database: string): string {
  const url = parse(value);
  if (!url) return value;
  url.pathname = `/${encodeURIComponent(database)}`;
  return url.href.replace(NO_HOST, '');
}

const NO_HOST = 'no-host.invalid';

/** `postgres:///db` and `postgres://user@/db` name no host, which libpq allows and URL only half. */
function parse(value: string): URL | undefined {
  const named = value.replace(/^([a-z]+:\/\/(?:[^/?#]*@)?)(?=[/?]|$|:\d)/i, `$1${NO_HOST}`);
  return URL.canParse(named) ? new URL(named) : undefined;
}

function decodes(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
