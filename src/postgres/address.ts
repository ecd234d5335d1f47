import type { ConnectionOptions } from 'node:tls';

/** How to connect, in the driver's words: the part of pg's `ClientConfig` that says where to, and as whom. */
export interface ConnectionConfig {
  /** A URL; what else is given goes before what it says. */
  connectionString?: string | undefined;
  /** A name, an address, or the folder of a socket. */
  host?: string | undefined;
  port?: number | undefined;
  user?: string | undefined;
  password?: string | (() => string | Promise<string>) | undefined;
  /** Only where none is asked for: a tenant's is the one of its row. */
  database?: string | undefined;
  ssl?: boolean | ConnectionOptions | undefined;
  /** Command line options for the session, such as `-c role=app`. */
  options?: string | undefined;
}

/** What is about to be connected to. */
export interface ConnectionRequest {
  /** A name of `servers`; `default` for the central database's server, `central` for that database itself. */
  server: string;
  database: string;
  /** Whose database it is. Undefined for the central database, and for what is done on a server as a whole. */
  tenant: { id: string; name: string } | undefined;
  /** For a session of an application, which may go through a pooler; all else must reach PostgreSQL itself. */
  session: boolean;
}

/** Where a connection leads. */
export interface UrlPlace {
  host: string;
  port: number;
  database: string;
  user: string;
}

/** An address that is looked up when it is needed. */
export interface AddressSource {
  /** What it is called in messages: `servers.eu.connection`. */
  readonly name: string;
  /** Where it led the last time. */
  place?: UrlPlace;
  /** Where none is asked for, and what it finds names none. */
  readonly database?: string;
  /**
   * @returns a URL, or the driver's configuration
   * @throws MpmError CONNECTION, CONFIG_INVALID; what it found is in neither
   */
  lookUp(
    request: Pick<ConnectionRequest, 'tenant' | 'session'> & { database?: string | undefined },
  ): Promise<string | ConnectionConfig>;
  /** Another URL after the server refused the login of that one; undefined: there is none. Throws as `lookUp`. */
  again?(refused: string): Promise<string | undefined>;
}

/** A URL, or what gives one. */
export type Address = string | AddressSource;
