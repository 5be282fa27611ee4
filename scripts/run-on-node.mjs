/*
 * Runs a script on another major version of Node, fetched as the npm package of that version's binary for this platform:
 * `node scripts/run-on-node.mjs 20 script.js …`. Uses the machine's own Node where its major version is the asked one.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const [major, ...command] = process.argv.slice(2)

/** The Node that a user of this machine gets outside npm scripts. */
function machineNode() {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
  const node = folders.map((folder) => join(folder, 'node')).find((file) => existsSync(file))
  if (node === undefined) return undefined
  const version = execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' })
  return version.startsWith(`${major}.`) ? node : undefined
}

const node = machineNode()
const platform = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
const prefix = platform === 'darwin-arm64' ? 'node-bin' : 'node' // the one platform whose package has another name
const [file, args] = node
  ? [node, command]
  : ['npm', ['exec', '--yes', `--package=${prefix}-${platform}@${major}`, '--', 'node', ...command]]

const { status, signal } = spawnSync(file, args, { stdio: 'inherit' })
if (signal) console.error(`ended by ${signal}`)
process.exitCode = status ?? 1
