import { STYLE } from './html-style.ts';
import { escapeMarkup } from './markup.ts';

/** What stands above a page: the command, in a sentence what it came to, and facts. */
export interface PageHead {
  /** As it was typed, without the program's name. */
  command: string;
  /** For the title, behind the command; may be empty. */
  about: string;
  verdict: string;
  fine: boolean;
  facts: readonly (readonly [name: string, value: string])[];
}

/** The beginning of a page that needs nothing else; {@link PAGE_END} ends it. */
export function pageHead({ command, about, verdict, fine, facts }: PageHead): string {
  const title = about ? `${command} (${about})` : command;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeMarkup(`mpm-migrate ${title}`)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<h1><code>mpm-migrate ${escapeMarkup(command)}</code></h1>
<p class="verdict ${fine ? 'fine' : 'wrong'}"><span aria-hidden="true">${fine ? '✔' : '✖'}</span> ${escapeMarkup(verdict)}</p>
<dl>${facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeMarkup(value)}</dd></div>`).join('')}</dl>
</header>
`;
}

export const PAGE_END = '</main>\n</body>\n</html>\n';
