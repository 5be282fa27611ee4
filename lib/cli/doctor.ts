import type { Command } from 'commander'
import { checks, make, type Ask, type Check } from './checks.js'
import { HttpClient, type Answer } from './client.js'
import { failure, painter, print, printJson, type Io } from './io.js'
import { queryOf, targetCommand, targetOf, type Target, type TargetOptions } from './target.js'

/** What is wrong with an endpoint, and what to do about it. */
interface Finding {
  readonly what: string
  readonly fix: string
}

interface Report {
  readonly check: string
  readonly promise: string
  readonly finding: Finding | undefined
}

/** Checks a deployed endpoint. */
export function doctorCommand(io: Io): Command {
  return targetCommand('doctor', 'the URL as it stands in the campaign, with its secret')
    .summary('check a deployed endpoint')
    .description(
      'Checks a deployed endpoint without side effects: none of its requests is a callback. Exits with 1 when a check fails.',
    )
    .option('--json', 'print JSON: findings and passed checks')
    .action(async (url: URL, options: TargetOptions & { json?: true }) => {
      const target = targetOf(url, options)
      const client = new HttpClient(target.url, options.timeout)
      try {
        const reports = await examine(io, client, target)
        const findings = reports.flatMap(({ check, finding }) => (finding ? [{ check, ...finding }] : []))
        const passed = reports.flatMap(({ check, finding }) => (finding ? [] : [check]))
        if (options.json) printJson(io.out, { findings, passed })
        else print(io.out, ...reports.flatMap((report) => linesOf(io, report)))
        if (findings.length > 0) throw failure()
      } finally {
        client.close()
      }
    })
}

async function examine(io: Io, client: HttpClient, target: Target): Promise<readonly Report[]> {
  const ask: Ask = (query, { headers, ...asked } = {}, { url, headers: credential } = target) =>
    client.ask(url, queryOf(url, query), { ...asked, headers: { ...credential, ...headers } })
  const visit = await ask('doctor=1')
  const finding = obstacleOf(target, visit)
  const reports: Report[] = [{ check: 'visit', promise: 'a visit without parameters is answered with 204', finding }]
  if (finding) return reports // the checks mean nothing for a server that is no webhook
  for (const [name, check] of Object.entries<Check>(checks)) {
    if (reports.some(({ check: earlier, finding }) => earlier === check.needs && finding)) continue
    if (io.interrupted.aborted) throw failure()
    const what = await make(check, ask, target, visit)
    reports.push({
      check: name,
      promise: check.promise,
      finding: what === undefined ? undefined : { what, fix: check.fix },
    })
  }
  return reports
}

/** Why no check can be made; undefined if the webhook answered the visit. */
function obstacleOf(target: Target, { status, label, headers }: Answer): Finding | undefined {
  if (status === 204) return undefined
  if (status >= 300 && status < 400) return redirectOf(target, headers.location ?? '')
  if (status === 0) {
    return {
      what: label.replace('no answer', 'nothing answers'),
      fix: 'is the app running, the name right, the port open, the certificate valid? Look from a machine outside your network',
    }
  }
  if (status === 401 || status === 404) {
    return {
      what: `the visit is answered with ${label}: the secret is not the one of the app, or the webhook is mounted elsewhere`,
      fix: 'compare the URL with the mount path, and its secret with CONVERSION_WEBHOOK_SECRET where the app runs',
    }
  }
  return {
    what: `the visit is answered with ${label}: this is no webhook, or something in front of the webhook answers`,
    fix: 'look for a login, a firewall, a maintenance page or another route in front of the webhook',
  }
}

function redirectOf({ url }: Target, location: string): Finding {
  const to = URL.canParse(location, url.href) ? new URL(location, url) : undefined
  return {
    what: to?.searchParams.has('doctor')
      ? 'the URL redirects: a sender may not follow, and a conversion would be lost'
      : 'the URL redirects and drops the query: every conversion is lost',
    fix: `paste the URL that the redirect leads to${to ? ` (on ${to.origin})` : ''} into the campaign`,
  }
}

function linesOf(io: Io, { check, promise, finding }: Report): string[] {
  const paint = painter(io.out, io.env)
  if (finding === undefined) return [`${paint('green', '✓')} ${promise}`]
  return [`${paint('red', '✗')} ${paint('bold', check)}: ${finding.what}`, `  → ${finding.fix}`]
}
