/*
 * Runs a script on another version of Node, fetched as the npm package of that version's binary for this platform:
 * `node scripts/run-on-node.mjs 22.13.0 script.js …`; a major version alone is its newest. Uses the machine's own Node where that is the
 * asked version. Says which version runs, and how it ended where nothing else would.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

const [asked, ...command] = process.argv.slice(2)
const folders = (process.env.PATH ?? '').split(delimiter)

const versionOf = (node) => spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout?.trim() ?? ''
const isAsked = (version) => version === asked || version.startsWith(`${asked}.`)

/** The Node that a user of this machine gets outside npm scripts. */
function machineNode() {
  const own = folders.filter((folder) => !folder.includes('node_modules'))
  const node = own.map((folder) => join(folder, 'node')).find((file) => existsSync(file))
  return node !== undefined && isAsked(versionOf(node)) ? node : undefined
}

/**
 * The file of the fetched Node. It is run by its path, not by `npm exec`: npm and its shell would be between, and an npm that was told to be
 * silent, as `npm run --silent` tells all those that it starts, ends without a word where it cannot fetch.
 */
function fetchedNode() {
  const platform = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const prefix = platform === 'darwin-arm64' ? 'node-bin' : 'node' // the one platform whose package has another name
  const options = ['--yes', '--loglevel=error', `--package=${prefix}-${platform}@${asked}`]
  const found = spawnSync('npm', ['exec', ...options, '--', 'node', '-p', 'process.execPath'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  return found.stdout?.trim() ?? ''
}

const node = machineNode() ?? fetchedNode()
const version = node && versionOf(node)
if (isAsked(version)) {
  console.error(`Node ${version}`)
  const env = { ...process.env, PATH: [dirname(node), ...folders].join(delimiter) }
  const { status, signal, error } = spawnSync(node, command, { stdio: 'inherit', env })
  if (status !== 0) console.error(`Node ${version} ended by ${signal ?? error ?? `status ${status}`}`)
  process.exitCode = status ?? 1
} else {
  console.error(`npm brought ${version ? `Node ${version}` : 'no Node'}, and Node ${asked} was asked for`)
  process.exitCode = 1
}
