/* See worker.h. */
#include "config.h"

#include "core/worker/worker.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static void write_line(int level, const char *format, va_list arguments)
{
    char line[2048];
    int head =
        snprintf(line, sizeof line, "<%d>", level >= PDK_LOG_ERROR && level <= PDK_LOG_DEBUG ? level : PDK_LOG_INFO);
    int body = vsnprintf(line + head, sizeof line - 1 - (size_t)head, format, arguments);
    size_t length = (size_t)head + (body < 0 ? 0 : (size_t)body);
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = ' ';
    line[length++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, length);
    (void)ignored;
}

void worker_log(int level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(level, format, arguments);
    va_end(arguments);
}

void worker_blame_runtime(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(PDK_LOG_ERROR, format, arguments);
    va_end(arguments);
    _exit(WORKER_EXIT_PLUGIN);
}
