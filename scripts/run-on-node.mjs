/*
 * Runs a script on another version of Node: `node scripts/run-on-node.mjs 22.13.0 script.js …`. A major version alone means its newest release.
 * The binary comes from the npm package of that version for this platform, unless the machine's own Node has the version. Prints the version,
 * and how the script ended if it failed.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

const [asked, ...command] = process.argv.slice(2)
const folders = (process.env.PATH ?? '').split(delimiter)

const versionOf = (node) => spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout?.trim() ?? ''
const isAsked = (version) => version === asked || version.startsWith(`${asked}.`)

/** The version of the machine's own Node, which runs outside npm scripts. */
function machineNode() {
  const own = folders.filter((folder) => !folder.includes('node_modules'))
  const node = own.map((folder) => join(folder, 'node')).find((file) => existsSync(file))
  return node !== undefined && isAsked(versionOf(node)) ? node : undefined
}

/**
 * The path of the fetched Node. This script runs the path itself: with `npm exec`, npm and a shell would be in between. And an npm under
 * `npm run --silent` would print no error when it cannot fetch.
 */
function fetchedNode() {
  const platform = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const prefix = platform === 'darwin-arm64' ? 'node-bin' : 'node' // the package of this platform has another name
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
  console.error(`npm fetched ${version ? `Node ${version}` : 'no Node'} instead of Node ${asked}`)
  process.exitCode = 1
}
