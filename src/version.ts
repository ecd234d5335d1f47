import pkg from '../package.json' with { type: 'json' };

/** This version of mpm-migrate: what histories, the ledger and reports record. */
export const TOOL_VERSION: string = pkg.version;
