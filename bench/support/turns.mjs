/* Measures how long one turn of the event loop takes. */
import { clearInterval, setInterval } from 'node:timers'

const processorMs = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

/**
 * Measures until it is stopped. Returns, in milliseconds, the longest turn of the event loop and the most processor time of this thread in
 * one turn. The processor time excludes other processes of the machine and waiting for the disk.
 */
export function watchTurns() {
  let longest = 0
  let mostProcessor = 0
  let turnedAt = performance.now()
  let usedBefore = processorMs()
  const turn = setInterval(() => {
    const [now, used] = [performance.now(), processorMs()]
    longest = Math.max(longest, now - turnedAt)
    mostProcessor = Math.max(mostProcessor, used - usedBefore)
    turnedAt = now
    usedBefore = used
  }, 1)
  return {
    stop() {
      clearInterval(turn)
      return { longestTurn: longest, mostProcessorTime: mostProcessor }
    },
  }
}
