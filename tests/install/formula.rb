# Evaluates a Homebrew formula's service block and compares it with a launchd job (JSON on stdin).
#
#   ruby formula.rb FORMULA < PLIST.json
require "json"
require "pathname"

PREFIX = Pathname("/usr/local")

# Keeps what a service block says.
class Service
  attr_reader :said

  def initialize = @said = {}
  def opt_bin = PREFIX / "bin"
  def var = PREFIX / "var"
  def method_missing(name, *words, **more) = @said[name] = words.first || more
  def respond_to_missing?(*) = true
end

# As much of Homebrew as the formula needs.
class Formula
  class << self
    attr_reader :block

    def service(&block) = @block = block
    def test = nil
    def method_missing(*) = nil
    def respond_to_missing?(*) = true
  end
end

load ARGV.fetch(0)
service = Service.new
service.instance_eval(&Thrum.block)
said = service.said
job = JSON.parse($stdin.read)
log = job["StandardErrorPath"]
pairs = {
  "program" => [[said[:run].to_s], job["ProgramArguments"]],
  "restart" => [{ "SuccessfulExit" => said[:keep_alive][:successful_exit] }, job["KeepAlive"]],
  "log" => [said[:error_log_path].to_s, log],
  "what is told of the log" => [said[:environment_variables][:THRUM_LOG_PATH].to_s, job["EnvironmentVariables"]["THRUM_LOG_PATH"]],
  "kind" => [said[:process_type].to_s.capitalize, job["ProcessType"]],
  "delay" => [said[:throttle_interval], job["ThrottleInterval"]],
}
wrong = pairs.reject { |_, (formula, plist)| formula == plist }
wrong.each { |what, (formula, plist)| warn "#{what}: the formula has #{formula.inspect}, the plist #{plist.inspect}" }
exit wrong.empty?
