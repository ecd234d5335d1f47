/**
 * Runs steps in order through Umzug. Each step does its whole work itself, history row included, so Umzug's own
 * record keeping only asserts that it was done: run-then-record would not be atomic (engine 3).
 */
export async function execute(
  direction: 'up' | 'down',
  names: readonly string[],
  step: (name: string) => Promise<void>,
): Promise<void> {
  // Loaded when there is something to do: most databases of most runs are current.
  const { MigrationError, Umzug } = await import('umzug');
  const done = new Set<string>();
  const run = async ({ name }: { name: string }) => {
    await step(name);
    done.add(name);
  };
  const assertDone = async ({ name }: { name: string }) => {
    if (!done.has(name)) throw new Error(`${name} was not recorded`);
  };
  // Umzug takes back in the reverse of its own order.
  const inOrder = direction === 'up' ? [...names] : [...names].reverse();
  const umzug = new Umzug({
    migrations: inOrder.map((name) => ({ name, up: run, down: run })),
    storage: {
      executed: async () => (direction === 'up' ? [] : inOrder),
      logMigration: assertDone,
      unlogMigration: assertDone,
    },
    logger: undefined,
  });
  try {
    await (direction === 'up' ? umzug.up() : umzug.down({ to: 0 }));
  } catch (error) {
    throw error instanceof MigrationError ? error.cause : error;
  }
}
